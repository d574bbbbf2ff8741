"""How good a picture is: PSNR and SSIM, and the protocols that say what they are measured on."""
