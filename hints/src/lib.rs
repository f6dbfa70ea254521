//! espb-hints
