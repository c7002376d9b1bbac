using System.Diagnostics;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>What a part works with: the GPU, PyTorch where it is, and where results go as they come.</summary>
internal sealed class GpuWork : IDisposable
{
    private readonly Func<IDeviceBackend> _open;
    private readonly Action<GpuRow> _report;
    private readonly string? _python;
    private IDeviceBackend? _backend;
    private Tensor? _fence;
    private GpuPeer? _peer;
    private bool _peerTried;

    /// <param name="open">Opens the GPU, when it is first needed.</param>
    /// <param name="quick">Tiny shapes, to see that everything runs.</param>
    /// <param name="python">The interpreter, or null for no peers.</param>
    /// <param name="report">Takes each result.</param>
    public GpuWork(Func<IDeviceBackend> open, bool quick, string? python, Action<GpuRow> report) =>
        (_open, Quick, _python, _report) = (open, quick, python, report);

    /// <summary>Tiny shapes.</summary>
    public bool Quick { get; }

    /// <summary>The GPU.</summary>
    public IDeviceBackend Backend => _backend ??= _open();

    /// <summary>PyTorch, or null; why not is reported once.</summary>
    public GpuPeer? Peer
    {
        get
        {
            if (!_peerTried)
            {
                _peerTried = true;
                string missing = "Peers were left out.";
                _peer = _python is null ? null : GpuPeer.TryStart(_python, out missing);
                Report(GpuRow.Note(_peer is null ? missing : $"Beside PyTorch {_peer.Version}."));
            }

            return _peer;
        }
    }

    /// <summary>Hands over a result.</summary>
    public void Report(GpuRow row) => _report(row);

    /// <summary>What the peer says, or null without one or where it fails; a failure is reported.</summary>
    public double? Ask(string what, Func<GpuPeer, double> question)
    {
        if (Peer is not { } peer)
        {
            return null;
        }

        try
        {
            return question(peer);
        }
        catch (PeerFailedException failure)
        {
            Report(GpuRow.Note($"PyTorch, {what}: {failure.Message}"));
            return null;
        }
    }

    /// <summary>A tensor of uniform numbers on the GPU.</summary>
    public Tensor Random(Shape shape, ulong seed)
    {
        ulong key = new RandomState(seed).NextKey();
        float[] values = new float[shape.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (2 * RandomState.Uniform(key, i)) - 1;
        }

        return Tensor.From(values, shape).To(Backend);
    }

    /// <summary>Memory of the GPU for a result.</summary>
    public Tensor New(Shape shape) => new(shape, DataType.Float32, Backend.Allocate(shape.Count * sizeof(float)));

    /// <summary>Seconds of one run of some work, the best of three series; launches of a series wait for each other only on the GPU.</summary>
    public double Seconds(Action work)
    {
        double best = Once(work);
        best = Quick ? best : Once(work);
        int count = (int)Math.Clamp(0.1 / Math.Max(1e-6, best), 1, 200);
        for (int series = 0; series < (Quick ? 0 : 3); series++)
        {
            ToolProgram.Cancellation.ThrowIfCancellationRequested();
            long began = Stopwatch.GetTimestamp();
            for (int i = 0; i < count; i++)
            {
                work();
            }

            Wait();
            best = Math.Min(best, Stopwatch.GetElapsedTime(began).TotalSeconds / count);
        }

        return best;
    }

    /// <summary>Ends the peer and closes the GPU.</summary>
    public void Dispose()
    {
        _peer?.Dispose();
        _backend?.Dispose();
    }

    private double Once(Action work)
    {
        long began = Stopwatch.GetTimestamp();
        work();
        Wait();
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    /// <summary>A read waits for what was launched.</summary>
    private void Wait()
    {
        Span<float> value = stackalloc float[1];
        _fence ??= Random(new Shape(1), 0);
        _fence.CopyTo(value);
    }
}
