//! kinglet-host
