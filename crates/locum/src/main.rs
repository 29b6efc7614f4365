//! `locum`: see [`locum::cli`].

fn main() {}
