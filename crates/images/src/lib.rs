//! kinglet-images
