//! kinglet-disk
