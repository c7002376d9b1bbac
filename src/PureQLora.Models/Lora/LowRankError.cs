using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The matrices of an adapter that makes up for as much of an error as its rank allows.</summary>
internal static class LowRankError
{
    /// <summary>
    /// Sets s·B·A to the X of rank r that minimises tr((E − X) H (E − X)ᵀ). With U the leading left singular vectors of E·H^½ that is
    /// U·Uᵀ·E: (E·H^½) has its best approximation in U·Uᵀ·(E·H^½), and H^½ drops out. Each product uᵢ·(uᵢᵀE) is halved evenly between B and A,
    /// as PEFT does for LoftQ; s is divided out, so that the adapter is what its settings say.
    /// </summary>
    /// <remarks>Eckart and Young, Psychometrika 1 (1936). Where E has a smaller rank, the rest of A keeps its random start and of B its zeros.</remarks>
    /// <param name="error">E = W − Q. [outDim, inDim]</param>
    /// <param name="hessian">H of the layer's input, undamped; null for the plain norm. [inDim, inDim]</param>
    /// <param name="adapter">Started as PEFT does; overwritten.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="random">Chooses where the search starts.</param>
    public static void Fit(ReadOnlySpan<float> error, double[]? hessian, LoraAdapter adapter, CpuBackend backend, RandomState random)
    {
        int rows = (int)adapter.B.Shape[0];
        ErrorOperator @operator = new(error, rows, hessian, backend);
        double[][] left = DominantSubspace.Find(@operator, adapter.Rank, random);
        float[] a = adapter.A.ToArray();    // [rank, inDim]
        float[] b = new float[rows * adapter.Rank];
        int columns = @operator.Columns;
        for (int i = 0; i < left.Length; i++)
        {
            double[] right = @operator.Project(left[i]);
            double length = Math.Sqrt(TensorPrimitives.Dot<double>(right, right));
            if (!(length > 0))
            {
                continue;
            }

            double factor = Math.Sqrt(length / adapter.Scale);
            for (int row = 0; row < rows; row++)
            {
                b[(row * adapter.Rank) + i] = (float)(left[i][row] * factor);
            }

            for (int column = 0; column < columns; column++)
            {
                a[(i * columns) + column] = (float)(right[column] / length * factor);
            }
        }

        adapter.A.CopyFrom(a);
        adapter.B.CopyFrom(b);
    }

    /// <summary>E − s·B·A, in place.</summary>
    /// <param name="error">[outDim, inDim]</param>
    /// <param name="adapter">The adapter.</param>
    public static void Subtract(Span<float> error, LoraAdapter adapter)
    {
        (float[] a, float[] b) = (adapter.A.ToArray(), adapter.B.ToArray());
        (int rank, int columns) = (adapter.Rank, (int)adapter.A.Shape[1]);
        double[] update = new double[columns];
        for (int row = 0; row < b.Length / rank; row++)
        {
            Array.Clear(update);
            for (int r = 0; r < rank; r++)
            {
                double factor = (double)adapter.Scale * b[(row * rank) + r];
                for (int column = 0; column < columns; column++)
                {
                    update[column] += factor * a[(r * columns) + column];
                }
            }

            Span<float> target = error.Slice(row * columns, columns);
            for (int column = 0; column < columns; column++)
            {
                target[column] = (float)(target[column] - update[column]);
            }
        }
    }
}
