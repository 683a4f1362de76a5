// ESM and DSM of tanh networks in C++, standard library only, by backpropagation; a worked example of GUIDE.md:
// g++ -O2 -std=c++17 adapter.cpp -o mine && npscore conform run --cmd ./mine
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>
using Vector = std::vector<double>;
// As much of JSON as is needed: the text after "key": from `at` on, up to the end of a list, a string or a number.
std::string field(const std::string& json, const std::string& key, size_t at = 0) {
  if ((at = json.find("\"" + key + "\":", at)) == std::string::npos) return "";
  at += key.size() + 3;
  if (json[at] == '"' || json[at] == '[') return json.substr(at + 1, json.find_first_of("]\"", at + 1) - at - 1);
  return json.substr(at, json.find_first_of(",}", at) - at);
}
Vector numbers(const std::string& list, int exponent = 0) {
  Vector values;
  for (size_t at = 0; at < list.size(); at = std::min(list.find(',', at), list.size() - 1) + 1)
    values.push_back(std::ldexp(std::stod(list.substr(at)), exponent));  // integer times 2^exponent: exact
  return values;
}
Vector input(const std::string& json, const std::string& name) {
  const size_t at = json.find("\"" + name + "\":{");
  return numbers(field(json, "integers", at), std::atoi(field(json, "exponent", at).c_str()));  // {} if there is none
}
std::string list(const std::string& name, const Vector& values) {
  std::ostringstream out;
  for (double value : values) out << (out.tellp() ? "," : "[") << std::setprecision(17) << value;
  return "\"" + name + "\":" + out.str() + "]";
}
std::string answer(const std::string& json) {
  const bool dsm = field(json, "operation") == "dsm", bends = field(json, "activation") == "tanh";
  const Vector sizes = numbers(field(json, "sizes")), x = input(json, "x"), noise = input(json, "noise");
  const Vector given = input(json, "target_score"), sigma = input(json, "sigma"), weights = input(json, "weights");
  const size_t d = sizes[0], n = x.size() / d, depth = sizes.size() - 1;
  std::vector<Vector> W(1), b(1), dW(1), db(1), a(depth + 1);  // layer l = 1, …, depth
  for (size_t l = 1; l <= depth; ++l) {
    W.push_back(input(json, "W" + std::to_string(l))), dW.emplace_back(W[l].size());
    b.push_back(input(json, "b" + std::to_string(l))), db.emplace_back(b[l].size());
  }
  Vector loss(1), per_sample(n);
  for (size_t i = 0; i < n; ++i) {
    const double s = dsm ? sigma[sigma.size() == 1 ? 0 : i] : 1, w = weights.empty() ? 1.0 / n : weights[i];
    const double factor = field(json, "weighting") == "sigma2" ? s * s : 1;
    a[0].assign(&x[i * d], &x[i * d] + d);
    for (size_t j = 0; dsm && j < d; ++j) a[0][j] += s * noise[i * d + j];
    for (size_t l = 1; l <= depth; ++l) {
      const size_t width = a[l - 1].size();
      a[l] = b[l];
      for (size_t k = 0; k < W[l].size(); ++k) a[l][k / width] += W[l][k] * a[l - 1][k % width];
      for (double& value : a[l]) value = bends && l < depth ? std::tanh(value) : value;
    }
    Vector dz(d);  // the gradient of the loss in z of a layer, from the last one down
    for (size_t j = 0; j < d; ++j) dz[j] = a[depth][j] - (dsm ? -noise[i * d + j] / s : given[i * d + j]);
    for (double& residual : dz) per_sample[i] += 0.5 * factor * residual * residual, residual *= w * factor;
    loss[0] += w * per_sample[i];
    for (size_t l = depth; l >= 1; --l) {
      const size_t width = a[l - 1].size();
      Vector da(width);
      for (size_t j = 0; j < dz.size(); ++j) db[l][j] += dz[j];
      for (size_t k = 0; k < W[l].size(); ++k)
        dW[l][k] += dz[k / width] * a[l - 1][k % width], da[k % width] += W[l][k] * dz[k / width];
      for (size_t j = 0; bends && j < width; ++j) da[j] *= (1 - a[l - 1][j]) * (1 + a[l - 1][j]);  // 1 − tanh²
      dz = da;
    }
  }
  std::string all = list("loss", loss) + "," + list("per_sample", per_sample);
  for (size_t l = 1; l <= depth; ++l)
    all += "," + list("grad.W" + std::to_string(l), dW[l]) + "," + list("grad.b" + std::to_string(l), db[l]);
  return all;
}
int main() {
  for (std::string json; std::getline(std::cin, json) && field(json, "type") != "stop"; std::cout << std::endl) {
    const std::string phi = field(json, "activation"), id = "\"id\":\"" + field(json, "id") + "\",";
    if (field(json, "type") == "start") std::cout << R"({"type":"ready","operations":["esm","dsm"]})";
    else if (phi != "tanh" && phi != "identity") std::cout << "{" << id << R"("type":"skipped","reason":"no such φ"})";
    else std::cout << "{" << id << R"("type":"result","answer":{)" << answer(json) << "}}";
  }
}
