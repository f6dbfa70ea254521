//! espb-image
