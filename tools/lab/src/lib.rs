//! Laboratory of network namespaces, bridges and TAPs for tests and benchmarks.
