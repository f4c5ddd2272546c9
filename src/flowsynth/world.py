"""Everything that does not change from day to day: the country, the network, the people and the crisis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowsynth.country import Country, make_country
from flowsynth.flood import Displacement, make_displacement
from flowsynth.gravity import gravity
from flowsynth.handsets import Handsets, make_handsets
from flowsynth.network import Network, make_network
from flowsynth.parameters import Parameters
from flowsynth.people import People, make_people

Floats = NDArray[np.float64]

_OUTING_KM, _JOURNEY_KM = 12.0, 130.0


@dataclass(frozen=True)
class World:
    """A country and its people; `outings` and `journeys` are gravity tables of places to go to."""

    parameters: Parameters
    country: Country
    network: Network
    handsets: Handsets
    people: People
    displacement: Displacement | None
    outings: Floats
    journeys: Floats


def make_world(parameters: Parameters) -> World:
    """Create the world of some parameters; `days` only limits what is written of it."""
    country = make_country(parameters.seed)
    network = make_network(parameters, country)
    handsets = make_handsets(parameters.seed)
    people = make_people(parameters, network, handsets)
    displacement = make_displacement(parameters, country, network, people)
    distance = network.distance()
    outings = gravity(network.people, distance, _OUTING_KM)
    journeys = gravity(network.people, distance, _JOURNEY_KM, anywhere=0.05)
    return World(parameters, country, network, handsets, people, displacement, outings, journeys)
