"""What quernel's own tests use, shipped: cases of every op, assert_close, gradcheck, each_backend, each_isa."""
