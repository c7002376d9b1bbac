using PureQLora.Core;
using PureQLora.Training;
using PureQLora.Tools.Tests;

namespace PureQLora.Kernels.Tests;

/// <summary>Pretraining on a simulated GPU, whose memory is planned first.</summary>
public sealed class DevicePretrainingTests : IDisposable
{
    private static readonly PretrainingOptions Options = new()
    {
        VocabularySize = 400,
        HiddenSize = 16,
        Layers = 1,
        Heads = 2,
        KeyValueHeads = 2,
        IntermediateSize = 32,
        Problems = 4,
        BatchSize = 1,
        Steps = 2,
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Run_GivenTooLittleMemory_ShouldRefuseBeforeItComputes()
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => Plan("refused", MemoryPlanner.DriverShare + (200 << 10)));

        Assert.StartsWith("pretraining needs", refused.Message, StringComparison.Ordinal);
        Assert.Contains("gradients", refused.Message, StringComparison.Ordinal);
        Assert.EndsWith("; end what else uses the GPU, take one with more memory, or use --device cpu.", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder["refused"], "model.safetensors")));
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Slow")]
    public void Run_WhenPlanned_ShouldTakeNoMoreAndHardlyLess()
    {
        using IlgpuBackend backend = new(new SimulatedDevice());
        long empty = backend.MemoryUsed;
        Assert.Equal(2, Pretraining.Run(_folder["made"], Options, backend).Step);

        // A plan counts all that the device holds; what is free is without what a backend holds from the start.
        long available = MemoryPlanner.DriverShare + backend.MemoryPeak + empty;
        UserErrorException refused = Assert.Throws<UserErrorException>(() => Plan("refused", available - 1));
        Assert.StartsWith("pretraining needs", refused.Message, StringComparison.Ordinal);
        Plan("allowed", available + (backend.MemoryPeak / 50));
    }

    /// <summary>All but the steps.</summary>
    private void Plan(string name, long memory)
    {
        using IlgpuBackend backend = new(new SimulatedDevice(memory));
        _ = Pretraining.Run(_folder[name], Options, backend, cancellationToken: new CancellationToken(canceled: true));
    }
}
