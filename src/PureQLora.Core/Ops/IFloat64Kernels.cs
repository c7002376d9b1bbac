namespace PureQLora.Core;

/// <summary>What GPTQ needs of a device besides passes of the model: the sum of a Hessian, and the products of its factorisation, in float64.</summary>
/// <remarks>Frantar et al., arXiv:2210.17323, eq. 3 and algorithm 1. Results do not depend on timing.</remarks>
public interface IFloat64Kernels
{
    /// <summary>
    /// sum += xᵀ · x, the upper triangle alone; below the diagonal, in tiles that the diagonal crosses, is what belongs there too. Products are
    /// float32 over runs of 128 rows, counted from the first, and each run is added in float64.
    /// </summary>
    /// <param name="x">[rows, columns], Float32.</param>
    /// <param name="sum">[columns, columns]</param>
    /// <exception cref="ArgumentException">Shapes do not fit.</exception>
    void SymmetricUpdate(Tensor x, Float64Matrix sum);

    /// <summary>c += alpha · op(a) · op(b), op being the transpose where it is asked for; c overlaps neither a nor b.</summary>
    /// <param name="a">[m, k], or [k, m] if transposed.</param>
    /// <param name="transposeA">Take the transpose.</param>
    /// <param name="b">[k, n], or [n, k] if transposed.</param>
    /// <param name="transposeB">Take the transpose.</param>
    /// <param name="alpha">Factor.</param>
    /// <param name="c">[m, n]</param>
    /// <exception cref="ArgumentException">Shapes do not fit.</exception>
    void MultiplyAddFloat64(Float64Matrix a, bool transposeA, Float64Matrix b, bool transposeB, double alpha, Float64Matrix c);
}
