using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// GPTQ: takes the columns of W one after another, rounds each to its group's grid and lets the columns that follow make up for the error.
/// </summary>
/// <remarks>
/// Frantar et al., arXiv:2210.17323, algorithm 1: e_j = (w_j − q_j) / U_jj, then w_k −= e_j · U_jk for k &gt; j, with UᵀU = H⁻¹. Rows do not
/// depend on each other; 64 of them pass through all columns at once, in float64.
/// </remarks>
public sealed unsafe class GptqQuantizer
{
    private const int ChunkRows = 64;

    private readonly float* _weights; // [rows, columns]
    private readonly int _columns;
    private readonly int _groups;
    private readonly int _groupLength;
    private readonly bool _gridsKnown;
    private readonly GptqOptions _options;
    private readonly HessianFactor _factor;
    private readonly byte[] _codes;   // [rows, columns]
    private readonly float[] _scales; // [rows, groups]
    private readonly byte[] _zeros;   // [rows, groups]
    private readonly double[] _losses; // [rows]

    private GptqQuantizer(float* weights, int rows, HessianFactor factor, GptqOptions options)
    {
        _weights = weights;
        _columns = factor.Columns;
        _groups = options.GroupCount(_columns);
        _groupLength = options.GroupLength(_columns);
        _gridsKnown = options.StaticGroups || options.GroupSize == -1;
        _options = options;
        _factor = factor;
        _codes = new byte[checked(rows * _columns)];
        _scales = new float[rows * _groups];
        _zeros = new byte[rows * _groups];
        _losses = new double[rows];
    }

    /// <summary>Quantises a weight matrix given the Hessian of its inputs.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="rows">Output features.</param>
    /// <param name="hessian">H = 2/n · XᵀX, undamped, row-major. [columns, columns]</param>
    /// <param name="options">How.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <exception cref="UserErrorException">Weights or Hessian are not finite, or an option is out of range.</exception>
    public static QuantizationResult Quantize(ReadOnlySpan<float> weights, int rows, double[] hessian, GptqOptions options, string layer)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        return Quantize(weights, rows, HessianFactor.Create(hessian, weights.Length / rows, options, layer), options, layer);
    }

    /// <summary>Quantises a weight matrix given the factored Hessian, which several layers may share.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="rows">Output features.</param>
    /// <param name="factor">Made with the same damping and act-order.</param>
    /// <param name="options">How.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <exception cref="UserErrorException">Weights are not finite, or an option is out of range.</exception>
    public static QuantizationResult Quantize(ReadOnlySpan<float> weights, int rows, HessianFactor factor, GptqOptions options, string layer)
    {
        QuantizationResult nearest = RoundToNearestQuantizer.Quantize(weights, rows, options, layer);
        ArgumentOutOfRangeException.ThrowIfNotEqual(nearest.Columns, factor.Columns);
        double nearestLoss = ProxyLoss.Compute(weights, nearest, factor.Hessian);
        if (!factor.IsPositiveDefinite)
        {
            return nearest with { ProxyLoss = nearestLoss, RoundToNearestLoss = nearestLoss, Damping = factor.Damping, Warning = factor.Warning };
        }

        fixed (float* pinned = weights)
        {
            var pass = new GptqQuantizer(pinned, rows, factor, options);
            Parallel.For(0, ((rows - 1) / ChunkRows) + 1, chunk => pass.QuantizeRows(chunk * ChunkRows, Math.Min(ChunkRows, rows - (chunk * ChunkRows))));
            return nearest with
            {
                Codes = pass._codes,
                Scales = pass._scales,
                Zeros = pass._zeros,
                GroupIndex = pass.GroupIndex(),
                Order = factor.Order,
                ProxyLoss = pass._losses.Sum(),
                RoundToNearestLoss = nearestLoss,
                Damping = factor.Damping,
                Warning = factor.Warning,
            };
        }
    }

    private int ColumnAt(int place) => _factor.Order is null ? place : _factor.Order[place];

    /// <summary>Groups are neighbours in the order in which columns are taken, but for static groups.</summary>
    private int GroupAt(int place) => (_options.StaticGroups ? ColumnAt(place) : place) / _groupLength;

    private int[]? GroupIndex()
    {
        if (_factor.Order is null || _gridsKnown)
        {
            return null;
        }

        var groupIndex = new int[_columns];
        for (int place = 0; place < _columns; place++)
        {
            groupIndex[ColumnAt(place)] = GroupAt(place);
        }

        return groupIndex;
    }

    private double Weight(int row, int column) => _factor.Dead[column] ? 0 : _weights[((long)row * _columns) + column];

    private void QuantizeRows(int first, int rows)
    {
        int blockSize = Math.Min(_options.BlockSize, _columns);
        double[] work = new double[rows * _columns];     // weights as updated so far, in the order taken
        double[] errors = new double[rows * blockSize];
        double[] lookAhead = new double[_groupLength + blockSize];
        var grids = new GroupQuantizer[rows * _groups];
        for (int row = 0; row < rows; row++)
        {
            LoadRow(first + row, work.AsSpan(row * _columns, _columns), grids.AsSpan(row * _groups, _groups));
        }

        fixed (double* pending = work, error = errors, upper = _factor.Upper)
        {
            for (int start = 0; start < _columns; start += blockSize)
            {
                int width = Math.Min(blockSize, _columns - start);
                for (int row = 0; row < rows; row++)
                {
                    QuantizeBlock(
                        first + row, start, work.AsSpan(row * _columns, _columns), errors.AsSpan(row * blockSize, width), grids.AsSpan(row * _groups, _groups), lookAhead);
                }

                int end = start + width;
                BlockUpdate.Subtract(
                    pending + end, _columns, error, blockSize, upper + ((long)start * _columns) + end, _columns, rows, width, _columns - end);
            }
        }

        for (int i = 0; i < grids.Length; i++)
        {
            _scales[(first * _groups) + i] = Math.Max((float)grids[i].Scale, float.Epsilon);
            _zeros[(first * _groups) + i] = (byte)grids[i].Zero;
        }
    }

    /// <summary>Reads a row in the order taken; takes its grids where they come from the original weights.</summary>
    private void LoadRow(int row, Span<double> work, Span<GroupQuantizer> grids)
    {
        if (_gridsKnown)
        {
            for (int column = 0; column < _columns; column++)
            {
                work[column] = Weight(row, column);
            }

            for (int group = 0; group < _groups; group++)
            {
                int start = group * _groupLength;
                grids[group] = GroupQuantizer.FromWeights(work[start..Math.Min(start + _groupLength, _columns)], _options);
            }
        }

        for (int place = 0; place < _columns; place++)
        {
            work[place] = Weight(row, ColumnAt(place));
        }
    }

    /// <summary>One row through one block of columns. Leaves the errors for the columns after the block.</summary>
    private void QuantizeBlock(int row, int start, Span<double> work, Span<double> errors, Span<GroupQuantizer> grids, Span<double> lookAhead)
    {
        int end = start + errors.Length;
        int firstGroupEnd = Math.Min(end + _groupLength, _columns);
        bool fromBlockStart = !_gridsKnown && _options.GridVariant == GridVariant.BlockStart;
        Span<double> atBlockStart = lookAhead[..(fromBlockStart ? firstGroupEnd - start : 0)];
        work.Slice(start, atBlockStart.Length).CopyTo(atBlockStart);

        double loss = 0;
        for (int place = start; place < end; place++)
        {
            int group = GroupAt(place);
            if (!_gridsKnown && place % _groupLength == 0)
            {
                int stop = Math.Min(place + _groupLength, _columns);
                ReadOnlySpan<double> source = fromBlockStart
                    ? atBlockStart[(place - start)..(stop - start)]
                    : CurrentWeights(work, start, place, stop, end, errors, lookAhead);
                grids[group] = GroupQuantizer.FromWeights(source, _options);
            }

            int column = ColumnAt(place);
            byte code = grids[group].Code(work[place]);
            double value = grids[group].Value(code);
            ReadOnlySpan<double> upper = _factor.Upper.AsSpan((place * _columns) + place, end - place);
            double error = (work[place] - value) / upper[0];
            Span<double> rest = work[(place + 1)..end];
            TensorPrimitives.FusedMultiplyAdd(upper[1..], -error, rest, rest);
            errors[place - start] = error;
            _codes[((long)row * _columns) + column] = code;

            // Σ e² is the loss with the damped Hessian: (w − q) = e·U, so e·eᵀ = (w − q)(H + λI)(w − q)ᵀ.
            double change = Weight(row, column) - value;
            loss += (error * error) - (_factor.Ridge * change * change);
        }

        _losses[row] += loss;
    }

    /// <summary>The weights of a group that starts now, with what the block still owes to columns past its end.</summary>
    private ReadOnlySpan<double> CurrentWeights(
        ReadOnlySpan<double> work, int start, int place, int stop, int end, ReadOnlySpan<double> errors, Span<double> lookAhead)
    {
        if (stop <= end || place == start)
        {
            return work[place..stop];
        }

        Span<double> current = lookAhead[..(stop - place)];
        work[place..stop].CopyTo(current);
        Span<double> owed = current[(end - place)..];
        for (int earlier = start; earlier < place; earlier++)
        {
            TensorPrimitives.FusedMultiplyAdd(_factor.Upper.AsSpan((earlier * _columns) + end, stop - end), -errors[earlier - start], owed, owed);
        }

        return current;
    }
}
