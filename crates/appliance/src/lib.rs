//! One whole node, sans-IO: heartbeat half, service half, mode cell.
