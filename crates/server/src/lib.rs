//! kinglet-server
