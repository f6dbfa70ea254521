//! espb-link
