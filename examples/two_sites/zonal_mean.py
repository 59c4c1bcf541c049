"""Mean sea-surface temperature of the tropics, middle and high latitudes, of one climatology.

    zonal_mean.py [FILE]        without one: the first file of the data that the task was given

Knows the COADS climatology (twelve months, two degrees) and the Levitus one (the year, one degree, twenty depths). Writes surface.json: which one it is, and for
each band of latitudes the mean in degrees Celsius, weighted by the area of each grid cell. The same command so serves whatever data lies beside it.
"""

import glob
import json
import sys

import netCDF4
import numpy as np

BANDS = {"60 S to 30 S": (-60, -30), "30 S to equator": (-30, 0), "equator to 30 N": (0, 30), "30 N to 60 N": (30, 60)}


def read_surface(dataset):
    """The name of the climatology, its temperature(latitude, longitude) of the year at the surface, and the latitudes."""
    if "SST" in dataset.variables:
        return "COADS", np.ma.mean(dataset["SST"][:], axis=0), dataset["COADSY"][:]
    return "Levitus", dataset["TEMP"][0], dataset["YAXLEVITR"][:]


def band_mean(temperature, latitude, low, high):
    """Mean between two latitudes; cells without a value (land, ice) do not count."""
    rows = (latitude > low) & (latitude < high)
    weight = np.cos(np.deg2rad(latitude[rows]))[:, None] * np.ones_like(temperature.data[rows])
    values = temperature[rows]
    return float(np.ma.average(values, weights=np.ma.array(weight, mask=np.ma.getmaskarray(values))))


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else sorted(glob.glob("/data/*/*.cdf"))[0]
    with netCDF4.Dataset(path) as dataset:
        name, temperature, latitude = read_surface(dataset)
    means = {name: round(band_mean(temperature, latitude, *ends), 2) for name, ends in BANDS.items()}
    with open("surface.json", "w", encoding="utf-8") as file:
        json.dump({"name": name, "means": means}, file)


main()
