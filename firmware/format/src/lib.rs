//! espb-format
