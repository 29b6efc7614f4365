//! The outside: TAP, polling, pcap, the in-memory Ethernet segment.
