using System.Globalization;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>llama.cpp as node-llama-cpp ships it, on a Q4_0 model of the same shape that is written for the occasion.</summary>
internal sealed class LlamaCpp : IDisposable
{
    /// <summary>Environment variable that names the folder.</summary>
    public const string FolderVariable = "PUREQLORA_LLAMA_CPP";

    private readonly PeerScript _script;
    private readonly LineProcess _process;

    private LlamaCpp(PeerScript script, LineProcess process, string version) => (_script, _process, Version) = (script, process, version);

    /// <summary>Such as <c>llama.cpp b9000</c>.</summary>
    public string Version { get; }

    /// <summary>Starts it, or says in one sentence why not.</summary>
    /// <param name="folder">With <c>node_modules</c>; null for what the environment says.</param>
    /// <param name="config">The shape.</param>
    /// <param name="threads">Threads it may use.</param>
    public static LlamaCpp? TryStart(string? folder, LlamaConfig config, int threads)
    {
        folder ??= Environment.GetEnvironmentVariable(FolderVariable);
        if (folder is null)
        {
            Report.Missing($"llama.cpp: install node-llama-cpp and its CPU library with npm and name the folder with --llama-cpp or {FolderVariable}.");
            return null;
        }

        PeerScript script = new("llama_cpp_peer.mjs");
        string model = Path.Combine(Path.GetDirectoryName(script.Path)!, "model.gguf");
        LineProcess? process = null;
        try
        {
            RandomGguf.Write(model, config);
            process = LineProcess.TryStart("node", script.Path, Path.GetFullPath(folder), model, threads.ToString(CultureInfo.InvariantCulture));
            if (process is not null)
            {
                return new LlamaCpp(script, process, process.Ask("load"));
            }

            Report.Missing("llama.cpp is driven by node, which is not on this machine.");
        }
        catch (PeerFailedException failure)
        {
            Report.Missing($"llama.cpp does not run from {folder} ({failure.Message}).");
        }

        process?.Dispose();
        script.Dispose();
        return null;
    }

    /// <summary>Makes room for sequences.</summary>
    /// <param name="batch">Sequences at once.</param>
    /// <param name="length">Tokens of each at most.</param>
    public void Prepare(int batch, int length) => _process.Ask($"prepare {batch} {length}");

    /// <summary>Seconds to read a prompt of random tokens.</summary>
    public double Prefill(int tokens) => _process.AskNumber($"prefill {tokens}");

    /// <summary>Seconds of tokens − 1 steps of all sequences.</summary>
    public double Decode(int tokens) => _process.AskNumber($"decode {tokens}");

    /// <summary>The most memory that was resident.</summary>
    public long PeakBytes() => (long)_process.AskNumber("peak");

    /// <summary>Ends it and deletes its model.</summary>
    public void Dispose()
    {
        _process.Dispose();
        _script.Dispose();
    }
}
