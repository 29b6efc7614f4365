//! The services that ship: echo, discard, chargen, http.
