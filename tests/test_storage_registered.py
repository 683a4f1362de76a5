"""Model classes from outside npscore: registered by name, saved and loaded like its own; never imported from a file."""

import numpy as np
import pytest

import npscore as ns
from npscore import storage
from npscore.models import registry


class Isotropic(ns.LinearScore):
    """s = −a x + b with one slope for all dimensions, whose configuration is a method."""

    def __init__(self, slope, b):
        super().__init__(-slope * np.eye(len(b)), b)

    def config(self):
        return {"d": self.d, "kind": ["isotropic", {"of": "tests"}]}

    @classmethod
    def from_config(cls, config, theta):
        assert config["kind"] == ["isotropic", {"of": "tests"}]
        d = config["d"]
        return cls(-theta[0], theta[d * d :])


class WithProperty(ns.LinearScore):
    """Inherits ``config`` as a property, and ``from_config``."""


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(registry, "REGISTERED", {})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


@pytest.mark.parametrize("model", [Isotropic(2.0, np.arange(3.0)), WithProperty(-np.eye(2), np.ones(2))])
def test_a_registered_class_comes_back_bit_for_bit(path, model):
    storage.register("Mine", type(model))
    ns.save(path, model, info={"steps": 1})
    stored = ns.load(path)
    assert type(stored.model) is type(model) and stored.info == {"steps": 1}
    np.testing.assert_array_equal(stored.model.theta, model.theta)
    registry.REGISTERED.clear()  # as in a process that has not registered it
    with pytest.raises(
        ns.FileFormatError, match=r"must be one of MLP, .*got 'Mine'; npscore.storage.register adds"
    ):
        ns.load(path)
    with pytest.raises(
        TypeError, match=r"model must be one of MLP, .*; npscore.storage.register adds a class"
    ):
        ns.save(path, model)


def test_a_class_whose_from_config_fails_is_an_inconsistent_file(path):
    storage.register("Mine", Isotropic)
    ns.save(path, Isotropic(2.0, np.arange(3.0)))
    for error in (IndexError("no such"), ZeroDivisionError("zero"), AttributeError("none")):

        class Failing(Isotropic):
            @classmethod
            def from_config(cls, config, theta, error=error):
                raise error

        registry.REGISTERED["Mine"] = Failing
        with pytest.raises(ns.FileFormatError, match=f"an inconsistent model file .{error}"):
            ns.load(path)


def test_a_configuration_that_json_cannot_hold_is_refused(path):
    class Odd(WithProperty):
        @property
        def config(self):
            return {"d": np.int64(2)}

    storage.register("Odd", Odd)
    with pytest.raises(TypeError, match=r"model.config must be what JSON can hold, got"):
        ns.save(path, Odd(-np.eye(2), np.ones(2)))
    assert not path.exists()


def test_names_are_taken_once():
    storage.register("Mine", Isotropic)
    storage.register("Mine", Isotropic)
    again = type("Isotropic", (Isotropic,), {"__qualname__": Isotropic.__qualname__, "__module__": __name__})
    storage.register("Mine", again)  # a notebook's cell run twice
    for name, cls, error, message in (
        (
            "Mine",
            WithProperty,
            ValueError,
            "name must be one that no class has, got 'Mine', which is Isotropic's",
        ),
        ("MLP", Isotropic, ValueError, "name must be one that no class has, got 'MLP', which is MLP's"),
        ("MLP", ns.MLP, ValueError, "name must be one that no class has"),
        (3, Isotropic, TypeError, "name must be a text like a class's name, got int 3"),
        ("my model", Isotropic, TypeError, "name must be a text like a class's name, got str 'my model'"),
        ("Other", Isotropic(1.0, np.ones(2)), TypeError, "cls must be a subclass of ScoreModel, got"),
        ("Other", dict, TypeError, "cls must be a subclass of ScoreModel, got <class 'dict'>"),
    ):
        with pytest.raises(error, match=message):
            storage.register(name, cls)
