//! The world of network namespaces: real `locum run` processes on real TAPs, real clients, real time.
