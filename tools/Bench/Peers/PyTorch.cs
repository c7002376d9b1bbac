using System.Globalization;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>PyTorch as the machine's Python has it, driven by a script of ours: products, and a LoRA step of plain modules.</summary>
internal sealed class PyTorch : IDisposable
{
    private readonly PeerScript _script;
    private readonly LineProcess _process;

    private PyTorch(PeerScript script, LineProcess process, string version) => (_script, _process, Version) = (script, process, version);

    /// <summary>Such as <c>2.10.0</c>.</summary>
    public string Version { get; }

    /// <summary>Starts it, or says in one sentence why not.</summary>
    /// <param name="python">The interpreter.</param>
    /// <param name="threads">Threads it may use.</param>
    public static PyTorch? TryStart(string python, int threads)
    {
        PeerScript script = new("pytorch_peer.py");
        LineProcess? process = LineProcess.TryStart(python, "-u", script.Path, threads.ToString(CultureInfo.InvariantCulture));
        try
        {
            if (process is not null)
            {
                return new PyTorch(script, process, process.Ask("version"));
            }

            Report.Missing($"PyTorch: there is no program {python}; name one with --python.");
        }
        catch (PeerFailedException failure)
        {
            Report.Missing($"PyTorch does not run under {python} ({failure.Message}); name another one with --python.");
        }

        process?.Dispose();
        script.Dispose();
        return null;
    }

    /// <summary>Makes x [m, k] and a weight [n, k].</summary>
    /// <param name="m">Rows of x.</param>
    /// <param name="n">Output features.</param>
    /// <param name="k">Input features.</param>
    /// <param name="type">float32 or bfloat16.</param>
    public void PrepareProduct(int m, int n, int k, string type) => _process.Ask($"product {m} {n} {k} {type}");

    /// <summary>x · Wᵀ; seconds, the best of some repeats.</summary>
    public double Product() => _process.AskNumber("multiply");

    /// <summary>Makes a model of that shape in bfloat16 with float32 adapters.</summary>
    public void PrepareTraining(LlamaConfig config, TrainingBenchOptions options) => _process.Ask(
        $"training {config.VocabularySize} {config.HiddenSize} {config.IntermediateSize} {config.Layers} {config.Heads} {config.KeyValueHeads} "
        + $"{options.Seq} {options.Rank} {string.Join(',', options.Targets)}");

    /// <summary>One step; seconds.</summary>
    public double TrainingStep() => _process.AskNumber("step");

    /// <summary>The most memory that was resident.</summary>
    public long PeakBytes() => (long)_process.AskNumber("peak");

    /// <summary>Ends it.</summary>
    public void Dispose()
    {
        _process.Dispose();
        _script.Dispose();
    }
}
