using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// The group scales of one layer while they are trained: float32 for the optimiser, rounded to float16, as files store them, to be
/// measured and kept.
/// </summary>
internal sealed class TrainedScales : IDisposable
{
    private readonly LinearLayer _layer;
    private readonly Tensor _scales; // [outDim, groups]
    private readonly AdamWOptions _options = new();
    private readonly Tensor _first;  // moments, [outDim, groups]
    private readonly Tensor _second;
    private readonly double _mean;
    private readonly float[] _trained;
    private readonly float[] _kept;
    private int _steps;

    public TrainedScales(LinearLayer layer)
    {
        _layer = layer;
        _scales = layer.MakeScalesTrainable();
        (_first, _second) = (_scales.ZerosLike(), _scales.ZerosLike());
        _trained = _scales.ToArray();
        _kept = _scales.ToArray();
        _mean = Array.ConvertAll(_trained, scale => (double)Math.Abs(scale)).Average();
    }

    /// <summary>
    /// One step of Adam, after which the gradient is zero. The scales stay in the memory of their matrix, from which an optimiser of parameters would
    /// take them.
    /// </summary>
    /// <param name="backend">Computes.</param>
    /// <param name="relativeRate">Share of the mean scale.</param>
    public void Step(IBackend backend, double relativeRate)
    {
        _steps++;
        backend.AdamWStep(
            _scales, _scales.Grad!, _first, _second, relativeRate * _mean, _options.Beta1, _options.Beta2, _options.Epsilon, _options.WeightDecay, _steps, gradientScale: 1f);
        backend.Zero(_scales.Grad!);
    }

    /// <summary>Puts what a file would hold in place of what is trained.</summary>
    public void Round()
    {
        Span<float> scales = _scales.Floats;
        scales.CopyTo(_trained);
        foreach (ref float scale in scales)
        {
            scale = (float)(Half)scale;
        }
    }

    /// <summary>Keeps the present scales as the best.</summary>
    public void Keep() => _scales.CopyTo(_kept);

    /// <summary>Goes on from what was trained before it was rounded.</summary>
    public void Resume() => _scales.CopyFrom(_trained);

    /// <summary>Puts the best in place and ends the training.</summary>
    public void Dispose()
    {
        _first.Storage.Dispose();
        _second.Storage.Dispose();
        _scales.CopyFrom(_kept);
        _layer.FreezeScales();
    }
}
