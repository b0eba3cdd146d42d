"""One door to everything that the application can do, for the command line and the screens alike."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engines.base import Engine, EngineError, LoadOptions
from workbench import paths
from workbench.settings import Settings

if TYPE_CHECKING:
    from engines.catalog import Catalog
    from engines.describe import CatalogModel
    from engines.fetch import Looked
    from engines.hardware import Fit, Machine
    from engines.offers import Offer
    from engines.places import Place
    from suites.base import Suite
    from suites.loader import SuiteSummary
    from workbench.audits.events import Listener
    from workbench.audits.plan import PlannedModel
    from workbench.audits.runner import Runner
    from workbench.audits.scheduler import Scheduler
    from workbench.history import History

Progress = Callable[[str, int, int], None]
"""Called with what is read or written, the bytes done and the bytes in all."""


class Taken(msgspec.Struct, frozen=True):
    """What a loaded model really takes, in bytes."""

    memory: int
    """Main memory of its process."""
    libraries: int
    """What a process with the libraries and no model takes of that; 0 where nothing is known."""
    device: int
    """Memory of GPUs that is no longer free since."""


class Workbench:
    """Catalogue, suites, history and runs of one user. Cheap to make: everything is opened when it is needed."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Raises SettingsError when no settings are given and the user's cannot be used."""
        if settings is None:
            from workbench import settings as module

            settings = module.load()
        self.settings = settings
        self._scheduler: Scheduler | None = None
        self._catalog: Catalog | None = None

    # -- models -------------------------------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """The catalogue of models; it keeps its notices for whoever shows them."""
        from engines.catalog import Catalog

        if self._catalog is None:
            self._catalog = Catalog(paths.data_folder())
        return self._catalog

    def prepare_starters(self, progress: Progress | None = None, *, restore: bool = False) -> list[str]:
        """Put the starter models into the models folder where they are not yet; returns lines for the user (what was
        made, what is missing and how to get it)."""
        from engines.starter import ensure_starters

        reports = ensure_starters(paths.models_folder(), progress, restore=restore)
        return [report.message for report in reports if report.status not in {"present", "removed"}]

    def models(self) -> list[CatalogModel]:
        """All known models: files, and the servers that the settings name (which are not asked anything for it)."""
        from workbench.endpoints import listed

        return [*self.catalog.list(), *listed(self.settings)]

    def find(self, name: str) -> CatalogModel:
        """A model by name, path or address, without looking into its weights; a server is asked what it can do. Raises
        EngineError."""
        from workbench import endpoints

        address = endpoints.address_of(name, self.settings)
        return self.catalog.find(name) if address is None else endpoints.described(name, address, self.settings)

    def stores(self) -> tuple[Place, ...]:
        """Where other programs of this user keep models, there or not."""
        from engines.places import places

        return places()

    def scan(self, folders: Iterable[str | Path] = ()) -> list[CatalogModel]:
        """Look for models in these folders and in those of the settings; without folders, in other programs' stores as
        well. Returns the new ones."""
        named = list(folders)
        wanted = [Path(folder).expanduser() for folder in (*self.settings.model_folders, *named)]
        return self.catalog.scan(wanted, () if named else self.stores())

    def offers(self) -> list[Offer]:
        """The models that are offered for fetching. Raises EngineError."""
        from engines.offers import offers

        return offers()

    def look_up(self, name: str, *, file: str = "", revision: str = "") -> Looked:
        """What the hub has for a name of the list or a repository. Uses the network. Raises EngineError."""
        from engines.fetch import check_space, look_up
        from engines.offers import offered

        looked = look_up(name, offered(name), file=file, revision=revision)
        check_space(looked, paths.models_folder())
        return looked

    def fetch(self, looked: Looked, progress: Progress | None = None) -> CatalogModel:
        """Download what was looked up and agreed to. Uses the network. Raises EngineError; what `progress` raises ends
        it."""
        from datetime import UTC, datetime

        from engines.fetch import fetch

        agreed = datetime.now(UTC).isoformat(timespec="seconds")
        return self.catalog.adopt(fetch(looked, paths.models_folder(), progress, agreed=agreed))

    def usable(self, name: str, progress: Progress | None = None) -> CatalogModel:
        """A model by name or path, with its fingerprint. Raises EngineError when it is unknown or cannot be used."""
        model = self.find(name)
        if model.problem:
            raise EngineError(f"{model.name} cannot be used: {model.problem}")
        if model.engine == "endpoint":
            return model
        tell = None if progress is None else (lambda done, total: progress(model.name, done, total))
        return msgspec.structs.replace(model, fingerprint=self.catalog.fingerprint(model, tell))

    def options(self, name: str) -> LoadOptions:
        """How a model is loaded, by the settings."""
        from workbench.settings import Loading

        layers = self.settings.offload.get(name, self.settings.gpu_layers)
        own = self.settings.loading.get(name, Loading())
        quantised = own.dtype in ("8bit", "4bit")
        spread = own.device == "spread"
        wanted = {
            "context": own.context or self.settings.context,
            "gpu_layers": layers,
            "threads": self.settings.threads,
            "dtype": "" if quantised else own.dtype,
            "quantise": own.dtype if quantised else "",
            "device": "" if spread else own.device,
            "device_map": "auto" if spread else "",
            "remote_code": own.remote_code,
        }
        # What is not set keeps the options' own default.
        return msgspec.convert({key: value for key, value in wanted.items() if value != ""}, LoadOptions)

    def fit(self, model: CatalogModel, machine: Machine) -> Fit:
        """What a model would take, loaded by its settings, and whether it fits on this machine."""
        from engines.hardware import fits, fits_torch
        from workbench.settings import Loading

        options = self.options(model.name)
        context = model.window(options.context)
        if model.engine != "hf":
            return fits(model, context, machine, gpu_layers=options.gpu_layers)
        own = self.settings.loading.get(model.name, Loading())
        on_cpu = own.device == "cpu" or not machine.torch_devices
        width = _width(model.format, own.dtype or "auto", on_cpu)
        return fits_torch(model, context, machine, device=own.device or "auto", width=width)

    def open_engine(self, name: str, options: LoadOptions | None = None, progress: Progress | None = None) -> Engine:
        """Load a model into a child process. Raises EngineError, EngineDied."""
        from engines.process import open_engine
        from workbench import endpoints

        address = endpoints.address_of(name, self.settings)
        if address is not None:
            return endpoints.connect(name, address, self.settings, live=True, log=_log)
        model = self.usable(name, progress)
        placed = self.placed(model, options or self.options(model.name))
        return open_engine(model.path, placed, name=model.name, fingerprint=model.fingerprint, log=_log)

    def placed(self, model: CatalogModel, options: LoadOptions) -> LoadOptions:
        """The options with automatic layers made a number: as many as fit on the GPU now. llama.cpp itself would try
        all of them and fail."""
        if model.engine != "gguf" or options.gpu_layers != -1:
            return options
        from engines.hardware import fits, machine

        facts = machine()
        if not (facts.devices and facts.gpu_offload_supported):
            return options
        fit = fits(model, model.window(options.context), facts)
        if fit.device != "CPU" and fit.layers == fit.of_layers:
            return options
        return msgspec.structs.replace(options, gpu_layers=fit.layers)

    def taken(self, engine: Engine, before: Machine) -> Taken:
        """What a loaded engine really takes, against the machine as it was before it was loaded."""
        from engines.hardware import machine

        torch = engine.card.engine == "hf"
        device = 0
        if before.devices or before.torch_devices:
            now = machine(refresh=True, torch=torch)
            pairs = zip(before.torch_devices or before.devices, now.torch_devices or now.devices, strict=False)
            device = sum(max(0, old.free - new.free) for old, new in pairs)
        used = getattr(engine, "memory", lambda: 0)()
        return Taken(memory=used, libraries=before.torch_memory if torch else before.library_memory, device=device)

    def open_planned(self, model: PlannedModel) -> Engine:
        """Load a model of a plan, which must still be what the plan says: found at its path, or by its fingerprint."""
        from engines.process import open_engine
        from workbench import endpoints

        path = self.resolve(model)
        address = endpoints.address_of(path, self.settings)
        if address is not None:
            return endpoints.connect(model.name, address, self.settings, log=_log)
        placed = self.placed(self.catalog.find(path), model.options)
        return open_engine(path, placed, name=model.name, fingerprint=model.fingerprint, log=_log)

    def resolve(self, model: PlannedModel) -> str:
        """Where the weights of a planned model lie now, or the addresses of its servers: those of the settings, where
        they name it (whether they still say the same of it shows when it is opened). Raises EngineError when the
        weights are nowhere, or have changed."""
        from workbench import endpoints

        address = endpoints.planned(model.name, model.path, self.settings)
        if address is not None:
            return address.text
        catalog = self.catalog
        if Path(model.path).exists():
            there = catalog.find(model.path)
            if catalog.fingerprint(there) == model.fingerprint:
                return there.path
        for other in catalog.list():
            if other.fingerprint == model.fingerprint and Path(other.path).exists():
                return other.path
        raise EngineError(
            f"{model.name}: the weights of this audit (SHA-256 {model.fingerprint[:12]}…) are neither at {model.path} "
            "nor among the known models: put the file back, or scan the folder that it is in now"
        )

    # -- suites -------------------------------------------------------------------------------------------------

    @property
    def suite_roots(self) -> tuple[Path, ...]:
        """Folders of the team's own suites."""
        return (paths.data_folder() / "suites",)

    def suites(self) -> list[SuiteSummary]:
        """Built-in suites and the team's own."""
        from suites.loader import available

        return available(self.suite_roots)

    def suite(self, name: str) -> Suite:
        """A suite by id or folder. Raises SuiteError."""
        from suites.loader import load

        return load(name, self.suite_roots)

    # -- audits -------------------------------------------------------------------------------------------------

    def history(self, *, readonly: bool = True) -> History:
        """The history; a context manager. Raises HistoryError."""
        from workbench.history import History

        path = paths.history_path()
        if readonly and not path.exists():
            # Somebody who only looks should find an empty history, not an error.
            History.open(path).close()
        return History.open(path, readonly=readonly)

    @property
    def scheduler(self) -> Scheduler:
        """The one lessor of this process's devices."""
        from workbench.audits.scheduler import Scheduler

        if self._scheduler is None:
            self._scheduler = Scheduler()
        return self._scheduler

    def device(self, path: str, options: LoadOptions) -> str:
        """Where a model will compute, as the scheduler leases it: a server's address, the GPU or the processor."""
        from engines.endpoint.address import is_address
        from engines.hardware import machine
        from workbench.audits.scheduler import device_of

        if is_address(path):
            return device_of("endpoint", path, 0, False)
        if Path(path).is_dir():
            gpu = options.device != "cpu" and bool(machine(torch=True).torch_devices)
            return device_of("hf", path, -1, gpu)
        facts = machine()
        return device_of("gguf", path, options.gpu_layers, bool(facts.devices) and facts.gpu_offload_supported)

    def runner(self, listeners: Sequence[Listener] = ()) -> Runner:
        """A runner for one audit on this machine."""
        from importlib import metadata

        from engines.hardware import machine
        from workbench.audits.runner import Runner

        return Runner(
            paths.history_path(),
            self.open_planned,
            listeners,
            self.scheduler,
            device=lambda model: self.device(model.path, model.options),
            machine=msgspec.to_builtins(machine()),
            libraries={name: metadata.version(name) for name in ("culture-workbench", "llama-cpp-python", "numpy")},
        )


def fit_offer(offer: Offer, context: int, machine: Machine) -> Fit:
    """Whether a model that could be fetched would fit, from its size alone."""
    from engines.hardware import fits, fits_torch
    from engines.offers import SAFETENSORS

    if offer.file != SAFETENSORS:
        return fits(offer.weight, context, machine)
    width = _width("HF bf16", "auto", not machine.torch_devices)
    return fits_torch(offer.weight, context, machine, width=width)


def _width(format: str, dtype: str, on_cpu: bool) -> float:
    """Bytes of a number as it is computed with, against those in the file. Automatic is float32 on a CPU, and what the
    file has on a GPU."""
    there = {"HF fp32": 4, "HF fp64": 8, "HF fp8": 1}.get(format, 2)
    if " " in format.removeprefix("HF "):  # Quantised: it stays as it is.
        return 1.0
    wanted = {"float32": 4, "float16": 2, "bfloat16": 2, "8bit": 1, "4bit": 0.5}.get(dtype, 4 if on_cpu else there)
    return wanted / there


def _log(line: str) -> None:
    logging.getLogger("culture-workbench").info("engine: %s", line)
