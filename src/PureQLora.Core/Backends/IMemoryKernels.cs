namespace PureQLora.Core;

/// <summary>Memory of a backend.</summary>
public interface IMemoryKernels
{
    /// <summary>A block aligned to 64 bytes; contents undefined. The caller disposes it.</summary>
    Storage Allocate(long byteLength);

    /// <summary>Whether this is memory that the kernels of this backend read and write.</summary>
    bool Reaches(Storage storage);

    /// <summary>Sets every byte to 0.</summary>
    void Zero(Tensor x);

    /// <summary>Sets every element of a Float32 tensor.</summary>
    void Fill(Tensor x, float value);

    /// <summary>Copies bytes between blocks of this backend; the ranges may overlap.</summary>
    void Move(Storage source, long sourceOffset, Storage destination, long destinationOffset, long byteLength);

    /// <summary>y += alpha · x; Float32, equal counts.</summary>
    void AddScaled(Tensor x, float alpha, Tensor y);
}
