"""What campaigns decide, without looking anything up."""
