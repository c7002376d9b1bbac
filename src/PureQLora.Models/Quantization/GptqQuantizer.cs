using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// GPTQ: takes the columns of W one after another, rounds each to its group's grid and lets the columns that follow make up for the error.
/// </summary>
/// <remarks>
/// Frantar et al., arXiv:2210.17323, algorithm 1: e_j = (w_j − q_j) / U_jj, then w_k −= e_j · U_jk for k &gt; j, with UᵀU = H⁻¹. Rows do not
/// depend on each other; 128 of them pass through all columns at once, in float64. Within a block the updates are lazy as well, by
/// halves, down to eight columns; each weight takes its updates in the order of the columns in every case.
/// </remarks>
public sealed unsafe class GptqQuantizer
{
    private const int ChunkRows = 128;

    /// <summary>Columns that are taken one by one before others learn of their errors.</summary>
    private const int Leaf = 8;

    private readonly float* _weights; // [rows, columns]
    private readonly int _columns;
    private readonly int _groups;
    private readonly int _groupLength;
    private readonly bool _gridsKnown;
    private readonly bool _anyDead;
    private readonly GptqOptions _options;
    private readonly HessianFactor _factor;
    private readonly int _vectorBits;
    private readonly double* _upper;   // [columns, columns]
    private readonly byte[] _codes;    // [rows, columns]
    private readonly float[] _scales;  // [rows, groups]
    private readonly byte[] _zeros;    // [rows, groups]
    private readonly double[] _losses; // [rows]

    private GptqQuantizer(float* weights, int rows, double* upper, HessianFactor factor, GptqOptions options, int vectorBits)
    {
        _weights = weights;
        _columns = factor.Columns;
        _groups = options.GroupCount(_columns);
        _groupLength = options.GroupLength(_columns);
        _gridsKnown = options.StaticGroups || options.GroupSize == -1;
        _anyDead = factor.Dead.Contains(true);
        _options = options;
        _factor = factor;
        _vectorBits = vectorBits;
        _upper = upper;
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
    /// <param name="backend">Gives threads and vectors; null for the caller's thread.</param>
    /// <exception cref="UserErrorException">Weights or Hessian are not finite, or an option is out of range.</exception>
    public static QuantizationResult Quantize(
        ReadOnlySpan<float> weights, int rows, double[] hessian, GptqOptions options, string layer, CpuBackend? backend = null)
    {
        backend ??= SingleThread.Backend;
        QuantizationResult nearest = RoundToNearest(weights, rows, hessian, options, layer, backend);
        return Quantize(weights, nearest, HessianFactor.Create(hessian, nearest.Columns, options, layer, backend), backend);
    }

    /// <summary>What a layer falls back to, with its loss; the last that needs the Hessian itself.</summary>
    internal static QuantizationResult RoundToNearest(
        ReadOnlySpan<float> weights, int rows, double[] hessian, GptqOptions options, string layer, CpuBackend backend)
    {
        QuantizationResult nearest = RoundToNearestQuantizer.Quantize(weights, rows, options, layer, backend);
        double loss = ProxyLoss.Compute(weights, nearest, hessian, backend);
        return nearest with { ProxyLoss = loss, RoundToNearestLoss = loss };
    }

    /// <summary>Quantises a weight matrix given the factored Hessian, which several layers may share.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="nearest">Of the same weights, with options and loss.</param>
    /// <param name="factor">Made with the same damping and act-order.</param>
    /// <param name="backend">Gives threads and vectors.</param>
    internal static QuantizationResult Quantize(ReadOnlySpan<float> weights, QuantizationResult nearest, HessianFactor factor, CpuBackend backend)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(nearest.Columns, factor.Columns);
        if (!factor.IsPositiveDefinite)
        {
            return nearest with { Damping = factor.Damping, Warning = factor.Warning };
        }

        fixed (float* pinnedWeights = weights)
        {
            fixed (double* pinnedUpper = factor.Upper)
            {
                var pass = new GptqQuantizer(pinnedWeights, nearest.Rows, pinnedUpper, factor, nearest.Options, backend.VectorBits);
                backend.For(nearest.Rows, ChunkRows, (start, end) => pass.QuantizeRows((int)start, (int)(end - start)));
                return nearest with
                {
                    Codes = pass._codes,
                    Scales = pass._scales,
                    Zeros = pass._zeros,
                    GroupIndex = pass.GroupIndex(),
                    Order = factor.Order,
                    ProxyLoss = pass._losses.Sum(),
                    RowLosses = pass._losses,
                    Damping = factor.Damping,
                    Warning = factor.Warning,
                };
            }
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
        using Borrowed work = Borrowed.Rent(rows * _columns); // weights as updated so far, in the order taken
        using Borrowed errors = Borrowed.Rent(rows * blockSize);
        var grids = new GroupQuantizer[rows * _groups];
        for (int row = 0; row < rows; row++)
        {
            LoadRow(first + row, work.Array.AsSpan(row * _columns, _columns), grids.AsSpan(row * _groups, _groups));
        }

        fixed (double* pinnedWork = work.Array, pinnedErrors = errors.Array)
        {
            RowChunk chunk = new(first, rows, new DoubleMatrix(pinnedWork, _columns), new DoubleMatrix(pinnedErrors, blockSize), grids);
            for (int start = 0; start < _columns; start += blockSize)
            {
                int end = Math.Min(start + blockSize, _columns);
                QuantizeBlock(chunk, start, end);
                Update(chunk, start, start, end, end, _columns);
            }
        }

        for (int i = 0; i < grids.Length; i++)
        {
            _scales[(first * _groups) + i] = grids[i].StoredScale;
            _zeros[(first * _groups) + i] = (byte)grids[i].Zero;
        }
    }

    /// <summary>Reads a row in the order taken; takes its grids where they come from the original weights.</summary>
    private void LoadRow(int row, Span<double> work, Span<GroupQuantizer> grids)
    {
        TensorPrimitives.ConvertTruncating(new ReadOnlySpan<float>(_weights + ((long)row * _columns), _columns), work);
        for (int column = 0; _anyDead && column < _columns; column++)
        {
            work[column] = Weight(row, column);
        }

        for (int group = 0; _gridsKnown && group < _groups; group++)
        {
            int start = group * _groupLength;
            int end = Math.Min(start + _groupLength, _columns);
            grids[group] = _options.Has(Refinements.Search)
                ? GridSearch.Find(work[start..end], _factor.Diagonal.AsSpan(start..end), _options)
                : GroupQuantizer.FromWeights(work[start..end], _options);
        }

        for (int place = 0; _factor.Order is not null && place < _columns; place++)
        {
            work[place] = Weight(row, _factor.Order[place]);
        }
    }

    /// <summary>Columns [start, end), from one start of a group to the next, because a grid needs the weights as they are then.</summary>
    private void QuantizeBlock(RowChunk chunk, int start, int end)
    {
        bool fromBlockStart = _options.GridVariant == GridVariant.BlockStart;
        if (!_gridsKnown && fromBlockStart)
        {
            for (int place = NextGroup(start); place < end; place += _groupLength)
            {
                ChooseGrids(chunk, start, place, end, owed: false);
            }
        }

        for (int place = start; place < end;)
        {
            int stop = _gridsKnown ? end : Math.Min(end, NextGroup(place + 1));
            if (!_gridsKnown && !fromBlockStart && NextGroup(place) == place)
            {
                ChooseGrids(chunk, start, place, end, owed: true);
            }

            QuantizeColumns(chunk, start, place, stop);
            Update(chunk, start, place, stop, stop, end);
            place = stop;
        }
    }

    /// <summary>The first place from this one on where a group starts.</summary>
    private int NextGroup(int place) => (place + _groupLength - 1) / _groupLength * _groupLength;

    /// <summary>Takes the grids of the group that starts at a place of the block.</summary>
    /// <param name="chunk">The rows.</param>
    /// <param name="start">First column of the block.</param>
    /// <param name="place">First column of the group.</param>
    /// <param name="end">End of the block; columns after it have not been updated since its start.</param>
    /// <param name="owed">Count what the block so far owes to columns past its end.</param>
    private void ChooseGrids(RowChunk chunk, int start, int place, int end, bool owed)
    {
        int stop = Math.Min(place + _groupLength, _columns);
        double[]? current = owed && stop > end && place > start ? new double[stop - place] : null;
        double[] importance = _options.Has(Refinements.Search) ? ConditionalDiagonal(place, stop) : [];
        for (int row = 0; row < chunk.Rows; row++)
        {
            Span<double> weights = new(chunk.Work.At(row, place), stop - place);
            if (current is not null)
            {
                weights.CopyTo(current);
                Span<double> past = current.AsSpan(end - place);
                for (int earlier = start; earlier < place; earlier++)
                {
                    TensorPrimitives.FusedMultiplyAdd(
                        _factor.Upper.AsSpan((earlier * _columns) + end, past.Length), -*chunk.Errors.At(row, earlier - start), past, past);
                }

                weights = current;
            }

            chunk.Grids[(row * _groups) + (place / _groupLength)] = importance.Length > 0
                ? GridSearch.Find(weights, importance, _options)
                : GroupQuantizer.FromWeights(weights, _options);
        }
    }

    /// <summary>1 / U_jj²: what an error of column j costs after those that follow have made up for it. [stop − place]</summary>
    private double[] ConditionalDiagonal(int place, int stop)
    {
        var diagonal = new double[stop - place];
        for (int i = 0; i < diagonal.Length; i++)
        {
            double pivot = _upper[((long)(place + i) * _columns) + place + i];
            diagonal[i] = 1 / (pivot * pivot);
        }

        return diagonal;
    }

    /// <summary>Columns [from, to) of the block that starts at <paramref name="start"/>; none after them is updated.</summary>
    private void QuantizeColumns(RowChunk chunk, int start, int from, int to)
    {
        if (to - from > Leaf)
        {
            int middle = from + ((((to - from) / 2) + Leaf - 1) / Leaf * Leaf);
            QuantizeColumns(chunk, start, from, middle);
            Update(chunk, start, from, middle, middle, to);
            QuantizeColumns(chunk, start, middle, to);
            return;
        }

        for (int row = 0; row < chunk.Rows; row++)
        {
            QuantizeLeaf(chunk, row, start, from, to);
        }
    }

    /// <summary>Subtracts the errors of columns [from, to) from columns [first, last).</summary>
    private void Update(RowChunk chunk, int start, int from, int to, int first, int last)
    {
        if (first < last)
        {
            DoubleMatrix upper = new(_upper, _columns);
            BlockUpdate.Subtract(
                _vectorBits, chunk.Work.From(0, first), chunk.Errors.From(0, from - start), upper.From(from, first), chunk.Rows, to - from, last - first);
        }
    }

    private void QuantizeLeaf(RowChunk chunk, int row, int start, int from, int to)
    {
        double* work = chunk.Work.At(row, 0);
        double* errors = chunk.Errors.At(row, 0);
        ReadOnlySpan<GroupQuantizer> grids = chunk.Grids.AsSpan(row * _groups, _groups);
        long codes = (long)(chunk.First + row) * _columns;
        double loss = 0;
        for (int place = from; place < to; place++)
        {
            int column = ColumnAt(place);
            GroupQuantizer grid = grids[GroupAt(place)];
            byte code = grid.Code(work[place]);
            double value = grid.Value(code);
            double* upper = _upper + ((long)place * _columns);
            double error = (work[place] - value) / upper[place];
            for (int later = place + 1; later < to; later++)
            {
                work[later] = Math.FusedMultiplyAdd(-error, upper[later], work[later]);
            }

            errors[place - start] = error;
            _codes[codes + column] = code;

            // Σ e² is the loss with the damped Hessian: (w − q) = e·U, so e·eᵀ = (w − q)(H + λI)(w − q)ᵀ.
            double change = Weight(chunk.First + row, column) - value;
            loss += (error * error) - (_factor.Ridge * change * change);
        }

        _losses[chunk.First + row] += loss;
    }

    /// <summary>Rows that pass through the columns together.</summary>
    /// <param name="First">The first of them.</param>
    /// <param name="Rows">How many.</param>
    /// <param name="Work">Weights as updated so far, in the order taken. [rows, columns]</param>
    /// <param name="Errors">Of the present block. [rows, block]</param>
    /// <param name="Grids">[rows, groups]</param>
    private sealed record RowChunk(int First, int Rows, DoubleMatrix Work, DoubleMatrix Errors, GroupQuantizer[] Grids);
}
