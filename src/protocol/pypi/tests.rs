//! Pages, ordinary and hostile, from the bytes of the index to the bytes that are given out.
