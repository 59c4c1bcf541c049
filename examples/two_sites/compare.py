"""Compares what zonal_mean.py found of two climatologies, one a file.

    compare.py FILE FILE

Prints a table: for each band of latitudes both means and their difference, in degrees Celsius.
"""

import json
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    first, second = sorted((read(path) for path in sys.argv[1:3]), key=lambda found: found["name"])
    print(f"{'band':16s} {first['name']:>8s} {second['name']:>8s} {'difference':>11s}")
    for band, mean in first["means"].items():
        other = second["means"][band]
        print(f"{band:16s} {mean:8.2f} {other:8.2f} {mean - other:+11.2f}")


main()
