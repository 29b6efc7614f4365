//! A deterministic world of segments, nodes and clients.
