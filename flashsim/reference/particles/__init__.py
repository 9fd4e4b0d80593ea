"""What the detector is hit by: particles of the hard event and of pileup, after the material of the tracker."""
