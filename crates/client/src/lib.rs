//! kinglet-client
