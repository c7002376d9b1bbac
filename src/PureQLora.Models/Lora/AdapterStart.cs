namespace PureQLora.Models;

/// <summary>What an adapter is before it is trained.</summary>
public enum AdapterStart
{
    /// <summary>A random, B zero: the model answers as its quantised base does.</summary>
    Zero,

    /// <summary>
    /// The best approximation of W − Q, what quantising lost, that the rank allows; quantising and approximating in turn if asked for (Li
    /// et al., arXiv:2310.08659, algorithm 1). PEFT's name.
    /// </summary>
    Loftq,

    /// <summary>
    /// The best approximation of what quantising lost of the layer's output on calibration text: W − Q in the norm of the Hessian of its
    /// inputs (compare Zhang et al., arXiv:2402.02446, eq. 6).
    /// </summary>
    Error,
}
