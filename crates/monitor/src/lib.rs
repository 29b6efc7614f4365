//! The sans-IO state machine that owns a node's mode.
