//! espb-vm
