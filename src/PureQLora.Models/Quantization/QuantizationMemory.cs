using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// The large pieces of memory that quantising takes, kept from block to block: as garbage they would pile up beside their successors,
/// and new pages cost more than what is computed in them.
/// </summary>
/// <param name="backend">Computes the Hessians, reads weights.</param>
internal sealed class QuantizationMemory(CpuBackend backend)
{
    private const int ReadRows = 64;

    private readonly Dictionary<string, HessianAccumulator> _hessians = [];
    private readonly Dictionary<string, DeviationAccumulator> _deviations = [];
    private readonly Dictionary<int, double[]> _factors = [];
    private readonly Dictionary<int, double[]> _rearranged = [];
    private float[] _weights = [];

    /// <summary>Empty sums for the input of a layer.</summary>
    /// <param name="layer">Sees the input.</param>
    /// <param name="oneByOne">True where earlier sums over as many columns have ended: they end.</param>
    /// <param name="deviation">Whether to compare with the unquantised model.</param>
    /// <param name="entersResidual">Whether the layer's output is added to the residual stream.</param>
    public CalibrationSums Sums(LinearLayer layer, bool oneByOne, bool deviation, bool entersResidual)
    {
        string key = oneByOne ? $"{layer.Weight.InDim} columns" : layer.ShortName;
        int residualRows = entersResidual ? layer.Weight.OutDim : 0;
        return new CalibrationSums(Hessian(layer, key), deviation ? Deviation(layer, entersResidual ? $"{key}, {residualRows} rows" : key, residualRows) : null);
    }

    /// <summary>Room for a factor; one of the same size ends. [columns, columns]</summary>
    public double[] Factor(int columns) => Square(_factors, columns);

    /// <summary>Room for a Hessian in another order; one of the same size ends. [columns, columns]</summary>
    public double[] Rearranged(int columns) => Square(_rearranged, columns);

    /// <summary>A copy of the dense weights of a layer, until the next is asked for. [outDim, inDim]</summary>
    public Span<float> Weights(LinearLayer layer)
    {
        Tensor dense = layer.Weight.Dense!;
        int count = checked((int)dense.Shape.Count);
        if (_weights.Length < count)
        {
            _weights = LargePages.AllocateArray<float>(count);
        }

        int columns = layer.Weight.InDim;
        backend.For(layer.Weight.OutDim, ReadRows, (start, end) =>
            dense.ViewRows(start, end - start).CopyTo(_weights.AsSpan((int)start * columns, (int)(end - start) * columns)));
        return _weights.AsSpan(0, count);
    }

    private HessianAccumulator Hessian(LinearLayer layer, string key)
    {
        if (_hessians.TryGetValue(key, out HessianAccumulator? hessian))
        {
            hessian.Restart(layer.Name);
            return hessian;
        }

        return _hessians[key] = new HessianAccumulator(layer.Weight.InDim, layer.Name, backend);
    }

    private DeviationAccumulator Deviation(LinearLayer layer, string key, int residualRows)
    {
        if (_deviations.TryGetValue(key, out DeviationAccumulator? deviation))
        {
            deviation.Restart();
            return deviation;
        }

        return _deviations[key] = new DeviationAccumulator(layer.Weight.InDim, residualRows, backend);
    }

    private static double[] Square(Dictionary<int, double[]> kept, int columns)
    {
        if (!kept.TryGetValue(columns, out double[]? memory))
        {
            memory = kept[columns] = LargePages.AllocateArray<double>(columns * columns);
        }

        return memory;
    }
}
