//! The rules, one file per topic. `solo` drives one monitor against puppets, `group` drives a whole
//! group of monitors; both on a virtual clock.

mod group;
mod solo;

mod fence;
mod leaving;
mod living;
mod old_news;
mod pace;
mod properties;
mod rivals;
mod session;
mod silence;
mod start;
mod succession;
mod table;
mod worlds;
