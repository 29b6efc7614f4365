//! Waiting for what a program will show at its own time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition without an event of its own is looked at.
pub const POLL: Duration = Duration::from_millis(1);

/// Looks at `condition` until it holds, which is when it returns `Ok`.
///
/// The text of its last `Err` says, in the message of a timeout, how things stood instead.
///
/// # Errors
/// When it does not hold within `timeout`.
pub fn until<T>(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(instead) if Instant::now() >= deadline => {
                bail!("{what}: not within {timeout:?}: {instead}")
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// Lets time pass under observation: fails as soon as `condition` does.
///
/// # Errors
/// The text of the first failure of `condition`.
pub fn all_through(
    what: &str,
    period: Duration,
    mut condition: impl FnMut() -> Result<(), String>,
) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < period {
        if let Err(instead) = condition() {
            bail!("{what}: no longer after {:?}: {instead}", start.elapsed());
        }
        std::thread::sleep(POLL * 10);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_says_how_things_stood() {
        let error = until::<()>("node 1 active", Duration::ZERO, || Err("mode is waiting".into()))
            .expect_err("it never holds");
        assert_eq!(error.to_string(), "node 1 active: not within 0ns: mode is waiting");
    }

    #[test]
    fn a_condition_that_breaks_ends_the_observation() {
        let mut left = 2;
        let error = all_through("no takeover", Duration::from_secs(60), || {
            left -= 1;
            if left > 0 { Ok(()) } else { Err("term 2".into()) }
        })
        .expect_err("the second look fails");
        assert!(error.to_string().ends_with("term 2"), "{error}");
    }
}
