"""Monthly mean sea-surface temperature of the COADS climatology, weighted by the area of each grid cell.

    monthly_mean.py FILE [MONTH]     all twelve months, or the one with that index (0 is January)

Prints a line a month: its number and the mean in degrees Celsius.
"""

import sys

import netCDF4
import numpy as np


def monthly_mean(dataset, month):
    """Mean of SST(month, latitude, longitude) in degrees Celsius; cells without a value (land, ice) do not count."""
    temperature = dataset["SST"][month]
    weight = np.cos(np.deg2rad(dataset["COADSY"][:]))[:, None] * np.ones_like(temperature.data)
    return np.ma.average(temperature, weights=np.ma.array(weight, mask=temperature.mask))


def main():
    with netCDF4.Dataset(sys.argv[1]) as dataset:
        months = [int(sys.argv[2])] if len(sys.argv) > 2 else range(len(dataset["TIME"]))
        for month in months:
            print(f"{month + 1:2d} {monthly_mean(dataset, month):.3f}")


main()
