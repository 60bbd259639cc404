"""Self-supervision without negatives (BYOL, SimSiam, Barlow Twins, VICReg, DINO) for kptk."""
