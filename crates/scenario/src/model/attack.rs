//! What a hostile machine is told to do.

use std::time::Duration;

use locum_sim::{Arsenal, Weapon};

use super::{Action, Step};

/// How often it uses each weapon, unless the file says otherwise.
const EVERY: Duration = Duration::from_millis(2);

impl Step {
    /// The weapons that the step tells a hostile machine to use; to cease is to use none.
    pub(crate) fn arsenal(&self) -> Arsenal {
        let named = self.weapons.iter().flatten().filter(|_| self.action == Action::Attack);
        let weapons: Vec<Weapon> = named.filter_map(|name| Weapon::from_name(name)).collect();
        Arsenal::of(&weapons, self.every.map_or(EVERY, |every| every.0))
    }
}
