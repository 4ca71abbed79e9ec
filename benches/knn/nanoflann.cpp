// nanoflann's full exact kNN graph, index build included, one thread: nanoflann sorted|given|dynamic
//
// `dynamic` keeps an index: two lines name the points that go and, with K, those that come; with K other than 0 the graph is asked for.
//
// A line `PATH K` on stdin names a cloud (x, y, z as f32) and asks for a run, answered by its milliseconds of CPU time. `sorted` puts the
// points in Morton order first, outside the time.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <map>
#include <nanoflann.hpp>
#include <string>
#include <vector>

struct Cloud {
    std::vector<float> xyz;
    size_t kdtree_get_point_count() const { return xyz.size() / 3; }
    float kdtree_get_pt(size_t i, size_t d) const { return xyz[3 * i + d]; }
    template <class B> bool kdtree_get_bbox(B&) const { return false; }
};

using Tree = nanoflann::KDTreeSingleIndexAdaptor<nanoflann::L2_Simple_Adaptor<float, Cloud>, Cloud, 3, uint32_t>;

static double cpu_ms() {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static uint64_t spread(uint64_t v) {
    v = (v | v << 32) & 0x1f00000000ffff;
    v = (v | v << 16) & 0x1f0000ff0000ff;
    v = (v | v << 8) & 0x100f00f00f00f00f;
    v = (v | v << 4) & 0x10c30c30c30c30c3;
    return (v | v << 2) & 0x1249249249249249;
}

static void morton_sort(Cloud& cloud) {
    const size_t n = cloud.kdtree_get_point_count();
    float lo[3] = {INFINITY, INFINITY, INFINITY}, hi = 0;
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++) lo[d] = std::min(lo[d], cloud.xyz[3 * i + d]);
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 3; d++) hi = std::max(hi, cloud.xyz[3 * i + d] - lo[d]);
    std::vector<std::pair<uint64_t, uint32_t>> key(n);
    for (size_t i = 0; i < n; i++) {
        uint64_t code = 0;
        for (int d = 0; d < 3; d++) code |= spread(uint64_t((cloud.xyz[3 * i + d] - lo[d]) / hi * 0x1fffff)) << d;
        key[i] = {code, uint32_t(i)};
    }
    std::sort(key.begin(), key.end());
    std::vector<float> out(3 * n);
    for (size_t i = 0; i < n; i++) memcpy(&out[3 * i], &cloud.xyz[3 * key[i].second], 12);
    cloud.xyz.swap(out);
}

static bool load(const std::string& path, Cloud& cloud) {
    FILE* f = fopen(path.c_str(), "rb");
    if (!f) return false;
    fseek(f, 0, SEEK_END);
    cloud.xyz.resize(ftell(f) / 12 * 3);
    rewind(f);
    const bool whole = fread(cloud.xyz.data(), 4, cloud.xyz.size(), f) == cloud.xyz.size();
    fclose(f);
    return whole;
}

// Points that come and go, in nanoflann's own dynamic index.
static int dynamic() {
    using Dynamic =
        nanoflann::KDTreeSingleIndexDynamicAdaptor<nanoflann::L2_Simple_Adaptor<float, Cloud>, Cloud, 3, uint32_t>;
    Cloud all, out, in;
    all.xyz.reserve(30000000);
    Dynamic tree(3, all, nanoflann::KDTreeSingleIndexAdaptorParams(16), 40000000);
    std::map<std::array<float, 3>, uint32_t> at;
    std::vector<size_t> dst;
    std::vector<float> d2;
    for (std::string gone, come; std::getline(std::cin, gone) && std::getline(std::cin, come);) {
        const size_t space = come.rfind(' ');
        const size_t k = std::stoul(come.substr(space + 1));
        if (!load(gone, out) || !load(come.substr(0, space), in)) return 1;
        const size_t first = all.kdtree_get_point_count(), n = in.kdtree_get_point_count();
        std::vector<uint32_t> removed;
        for (size_t i = 0; i < out.xyz.size(); i += 3) {
            auto found = at.find({out.xyz[i], out.xyz[i + 1], out.xyz[i + 2]});
            removed.push_back(found->second);
            at.erase(found);
        }
        all.xyz.insert(all.xyz.end(), in.xyz.begin(), in.xyz.end());
        for (size_t i = 0; i < n; i++) at[{in.xyz[3 * i], in.xyz[3 * i + 1], in.xyz[3 * i + 2]}] = first + i;
        const double start = cpu_ms();
        for (uint32_t index : removed) tree.removePoint(index);
        if (n > 0) tree.addPoints(first, first + n - 1);
        if (k > 0) {
            dst.resize(k + 1);
            d2.resize(k + 1);
            for (const auto& [point, index] : at) {
                nanoflann::KNNResultSet<float> result(k + 1);
                result.init(dst.data(), d2.data());
                tree.findNeighbors(result, point.data(), nanoflann::SearchParams());
            }
        }
        printf("%.3f\n", cpu_ms() - start);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char** argv) {
    const bool sorted = argc > 1 && !strcmp(argv[1], "sorted");
    puts("ready");
    fflush(stdout);
    if (argc > 1 && !strcmp(argv[1], "dynamic")) return dynamic();
    Cloud cloud;
    std::vector<uint32_t> dst;
    std::vector<float> d2;
    for (std::string line; std::getline(std::cin, line);) {
        const size_t space = line.rfind(' ');
        const size_t k = std::stoul(line.substr(space + 1)) + 1;
        if (!load(line.substr(0, space), cloud)) return 1;
        if (sorted) morton_sort(cloud);
        const size_t n = cloud.kdtree_get_point_count();
        dst.resize(n * k);
        d2.resize(n * k);
        const double start = cpu_ms();
        Tree tree(3, cloud, nanoflann::KDTreeSingleIndexAdaptorParams(16));
        for (size_t i = 0; i < n; i++) tree.knnSearch(&cloud.xyz[3 * i], k, &dst[i * k], &d2[i * k]);
        printf("%.3f\n", cpu_ms() - start);
        fflush(stdout);
    }
}
