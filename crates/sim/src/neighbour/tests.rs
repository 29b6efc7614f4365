//! Each transition, with the place in Linux or in an RFC that asks for it.
