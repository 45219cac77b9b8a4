//! kinglet-vms
