//! One smoltcp Interface, one small SocketSet per flow, and the Service trait.

#![forbid(unsafe_code)]

pub mod service;
