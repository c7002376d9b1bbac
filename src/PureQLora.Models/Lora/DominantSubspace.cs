using System.Numerics.Tensors;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Factorization;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// The leading eigenvectors of <see cref="ErrorOperator"/>: block Lanczos with full orthogonalisation. It ends where the whole space is
/// spanned, which is exact, or where three more blocks add less than a millionth to the sum of the eigenvalues wanted.
/// </summary>
/// <remarks>
/// Golub and Van Loan, Matrix Computations, section 10.3; Musco and Musco, arXiv:1504.05477, on its accuracy. Against a whole
/// decomposition it needs a few products with a block of vectors, and nothing else of the size of the layer.
/// </remarks>
internal sealed class DominantSubspace
{
    /// <summary>Vectors of a block beyond the rank: eigenvalues close behind those wanted no longer slow it down.</summary>
    private const int SpareVectors = 8;

    private const int BlocksBetweenChecks = 3;
    private const int MostBlocks = 30;
    private const double Accuracy = 1e-6;

    /// <summary>What is left of a vector of length 1 that lies in the space already.</summary>
    private const double Rounding = 1e-10;

    private readonly ErrorOperator _operator;
    private readonly int _rank;
    private readonly List<double[]> _basis = [];    // orthonormal
    private readonly List<double[]> _images = [];   // G · basis

    private DominantSubspace(ErrorOperator @operator, int rank) => (_operator, _rank) = (@operator, Math.Min(rank, @operator.Rows));

    /// <summary>Finds the vectors.</summary>
    /// <param name="operator">G.</param>
    /// <param name="rank">How many.</param>
    /// <param name="random">Chooses where to start.</param>
    /// <returns>Orthonormal vectors of falling eigenvalue, at most rank; fewer where G has a smaller rank. [found][rows]</returns>
    public static double[][] Find(ErrorOperator @operator, int rank, RandomState random)
    {
        DominantSubspace search = new(@operator, rank);
        search.Grow(Start(@operator.Rows, Math.Min(@operator.Rows, rank + SpareVectors), random));
        return search.Ritz();
    }

    private static double[][] Start(int rows, int count, RandomState random)
    {
        ulong key = random.NextKey();
        double[][] vectors = new double[count][];
        for (int i = 0; i < count; i++)
        {
            vectors[i] = new double[rows];
            for (int row = 0; row < rows; row++)
            {
                vectors[i][row] = (2.0 * RandomState.Uniform(key, ((long)i * rows) + row)) - 1.0;
            }
        }

        return vectors;
    }

    private void Grow(double[][] block)
    {
        double captured = 0;
        for (int step = 1; step <= MostBlocks; step++)
        {
            int first = _basis.Count;
            Append(block);
            int count = _basis.Count - first;
            if (count == 0)
            {
                return;
            }

            block = Split(_operator.Apply(Join(first, count)), count);
            _images.AddRange(block.Select(image => (double[])image.Clone()));
            if (step % BlocksBetweenChecks == 0)
            {
                double sum = Decompose().EigenValues.Select(value => value.Real).OrderDescending().Take(_rank).Sum();
                if (sum - captured <= Accuracy * sum)
                {
                    return;
                }

                captured = sum;
            }
        }
    }

    /// <summary>Adds what is new of some vectors to the basis.</summary>
    private void Append(double[][] block)
    {
        foreach (double[] vector in block)
        {
            double length = Math.Sqrt(TensorPrimitives.Dot<double>(vector, vector));
            if (length == 0 || _basis.Count == _operator.Rows)
            {
                continue;
            }

            TensorPrimitives.Divide(vector, length, vector);

            // Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9).
            double before = 1;
            for (int pass = 0; pass < 2; pass++)
            {
                foreach (double[] known in _basis)
                {
                    TensorPrimitives.MultiplyAdd(known, -TensorPrimitives.Dot<double>(known, vector), vector, vector);
                }

                double rest = Math.Sqrt(TensorPrimitives.Dot<double>(vector, vector));
                before *= rest;
                if (rest == 0)
                {
                    break;
                }

                TensorPrimitives.Divide(vector, rest, vector);
            }

            if (before > Rounding)
            {
                _basis.Add(vector);
            }
        }
    }

    /// <summary>Eigenvalues and vectors of VᵀGV.</summary>
    private Evd<double> Decompose()
    {
        int size = _basis.Count;
        Matrix<double> inner = Matrix<double>.Build.Dense(size, size);
        for (int i = 0; i < size; i++)
        {
            for (int j = i; j < size; j++)
            {
                inner[i, j] = inner[j, i] = 0.5 * (TensorPrimitives.Dot<double>(_basis[i], _images[j]) + TensorPrimitives.Dot<double>(_basis[j], _images[i]));
            }
        }

        return inner.Evd(Symmetricity.Symmetric);
    }

    private double[][] Ritz()
    {
        if (_basis.Count == 0)
        {
            return [];
        }

        Evd<double> evd = Decompose();
        double largest = evd.EigenValues.Max(value => value.Real);
        int[] chosen = [.. Enumerable.Range(0, _basis.Count).OrderByDescending(i => evd.EigenValues[i].Real).Take(_rank).Where(i => evd.EigenValues[i].Real > largest * 1e-14)];
        return
        [
            .. chosen.Select(index =>
            {
                double[] vector = new double[_operator.Rows];
                for (int i = 0; i < _basis.Count; i++)
                {
                    TensorPrimitives.MultiplyAdd(_basis[i], evd.EigenVectors[i, index], vector, vector);
                }

                return vector;
            }),
        ];
    }

    private double[] Join(int first, int count)
    {
        double[] joined = new double[count * _operator.Rows];
        for (int i = 0; i < count; i++)
        {
            _basis[first + i].CopyTo(joined, i * _operator.Rows);
        }

        return joined;
    }

    private double[][] Split(double[] joined, int count) =>
        [.. Enumerable.Range(0, count).Select(i => joined.AsSpan(i * _operator.Rows, _operator.Rows).ToArray())];
}
