using PureQLora.Core;
using PureQLora.Training;
using PureQLora.Training.Tests;

namespace PureQLora.Kernels.Tests;

/// <summary>Whole runs on a simulated GPU: interrupted, resumed, and with a device that fails.</summary>
public sealed class DeviceRunTests : IDisposable
{
    private readonly TinyRun _tiny = new();

    public void Dispose() => _tiny.Dispose();

    [Fact]
    public void Run_GivenACancellation_ShouldResumeBitForBit()
    {
        Run("whole", new SimulatedDevice());
        using CancellationTokenSource source = new();

        RunInterruptedException stopped = Assert.Throws<RunInterruptedException>(() => Run("stopped", new SimulatedDevice(), new StoppingObserver("training", 2, source), source.Token));

        Assert.Contains("after step 2 of 3", stopped.Message, StringComparison.Ordinal);
        Resume("stopped");
        Assert.Equal(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("stopped"));
    }

    [Fact]
    public void Run_GivenADeviceThatIsLost_ShouldKeepTheLastCheckpointAndGoOnFromIt()
    {
        Run("whole", new SimulatedDevice());
        int launches = CountLaunches();

        // Lost in the last step, of three that take as many launches each.
        TrainingFailedException lost = Assert.Throws<TrainingFailedException>(() => Run("lost", new FailingDevice(launches * 5 / 6)));

        Assert.Contains("does not answer any more", lost.Message, StringComparison.Ordinal);
        Assert.EndsWith($"The last good checkpoint is {Path.Combine(_tiny["lost"], "checkpoints", "step-2")}.", lost.Message, StringComparison.Ordinal);
        Resume("lost");
        Assert.Equal(_tiny.AdapterBytes("whole"), _tiny.AdapterBytes("lost"));
    }

    [Fact]
    public void Run_GivenTooLittleMemory_ShouldRefuseBeforeItComputesAndLeaveNothing()
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => Run("refused", new SimulatedDevice(MemoryPlanner.DriverShare + (200 << 10))));

        Assert.Contains("training needs", refused.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_tiny["refused"]));
    }

    [Fact]
    public void MoveTo_GivenTooLittleMemory_ShouldSayHowMuchWasMissing()
    {
        using IlgpuBackend backend = new(new SimulatedDevice(100 << 10));
        using PureQLora.Models.LlamaModel model = TinyModel.Create();

        DeviceFailedException failed = Assert.Throws<DeviceFailedException>(() => model.MoveTo(backend));

        Assert.Contains("out of memory", failed.Message, StringComparison.Ordinal);
        Assert.Contains("smaller batch", failed.Message, StringComparison.Ordinal);
    }

    private static Recipe Short(Recipe recipe) => recipe with
    {
        Quantization = recipe.Quantization with { Method = PureQLora.Models.QuantizationMethod.RoundToNearest },
        Lora = recipe.Lora with { Rank = 2, Targets = ["q_proj", "down_proj"] },
        Data = recipe.Data with { MaxLength = 24, WordProblems = new() { NewProblems = 6, OldProblems = 2 }, CompletionOnly = false },
        Training = recipe.Training with { Steps = 3, BatchSize = 1, Accumulation = 1, SaveEvery = 1 },
    };

    private void Run(string name, Device device, IRunObserver? observer = null, CancellationToken cancellationToken = default)
    {
        Recipe recipe = Short(_tiny.Recipe());
        using IlgpuBackend backend = new(device);
        _ = new TrainingRun(recipe, RunFolder.Create(_tiny[name], recipe), backend, observer: observer, threads: 1).Run(cancellationToken);
    }

    private void Resume(string name)
    {
        using IlgpuBackend backend = new(new SimulatedDevice());
        RunFolder folder = RunFolder.Resume(_tiny[name], [], out Recipe recipe);
        _ = new TrainingRun(recipe, folder, backend, threads: 1).Run();
    }

    private int CountLaunches()
    {
        CountingDevice device = new();
        Run("counted", device);
        return device.Launches;
    }
}
