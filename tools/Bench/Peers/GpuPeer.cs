using System.Globalization;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>PyTorch on the GPU as the machine's Python has it: cuBLAS, scaled dot-product attention, PEFT where it is installed.</summary>
internal sealed class GpuPeer : IDisposable
{
    private readonly PeerScript _script;
    private readonly LineProcess _process;

    private GpuPeer(PeerScript script, LineProcess process, string version) => (_script, _process, Version) = (script, process, version);

    /// <summary>PyTorch's version and the GPU it sees.</summary>
    public string Version { get; }

    /// <summary>Starts it.</summary>
    /// <param name="python">The interpreter.</param>
    /// <param name="missing">Why there is none, as a sentence.</param>
    public static GpuPeer? TryStart(string python, out string missing)
    {
        missing = "";
        PeerScript script = new("gpu_peer.py", "pytorch_peer.py");
        LineProcess? process = LineProcess.TryStart(python, "-u", script.Path);
        try
        {
            if (process is not null)
            {
                return new GpuPeer(script, process, process.Ask("version").Replace('_', ' '));
            }

            missing = $"There is no program {python}; name one with --python.";
        }
        catch (PeerFailedException failure)
        {
            missing = $"PyTorch does not run under {python} ({failure.Message}).";
        }

        process?.Dispose();
        script.Dispose();
        return null;
    }

    /// <summary>Seconds of a copy in the GPU's memory.</summary>
    public double Copy(long bytes) => Number($"copy {bytes}");

    /// <summary>Seconds of x · Wᵀ in bfloat16, the weights from memory.</summary>
    public double Product(int m, int n, int k) => Number($"product {m} {n} {k}");

    /// <summary>Seconds of turning 4-bit codes into bfloat16 and multiplying then.</summary>
    public double Dequantised(int m, int n, int k) => Number($"dequantised {m} {n} {k}");

    /// <summary>Seconds of causal attention, with its gradients or without.</summary>
    public double Attention(int heads, int keyValueHeads, int dim, int seq, bool backward) =>
        Number($"attention {heads} {keyValueHeads} {dim} {seq} {(backward ? 1 : 0)}");

    /// <summary>Makes a model and adapters.</summary>
    /// <returns>Whose code it is.</returns>
    public string PrepareTraining(LlamaConfig config, TrainingBenchOptions options) => _process.Ask(
        $"training {Dimensions(config)} {options.Seq} {options.Rank} {string.Join(',', options.Targets)}").Replace('_', ' ');

    /// <summary>Seconds of one step.</summary>
    public double TrainingStep() => Number("step");

    /// <summary>The most memory that was allocated on the GPU.</summary>
    public long PeakBytes() => (long)Number("peak");

    /// <summary>Seconds of tokens − 1 steps of decoding.</summary>
    public double Decode(LlamaConfig config, int batch, int tokens) => Number($"decode {Dimensions(config)} {batch} {tokens}");

    /// <summary>Releases what was made.</summary>
    public void Clear() => _process.Ask("clear");

    /// <summary>Ends it.</summary>
    public void Dispose()
    {
        _process.Dispose();
        _script.Dispose();
    }

    private static string Dimensions(LlamaConfig config) => string.Create(
        CultureInfo.InvariantCulture,
        $"{config.VocabularySize} {config.HiddenSize} {config.IntermediateSize} {config.Layers} {config.Heads} {config.KeyValueHeads}");

    private double Number(string line) => _process.AskNumber(line);
}
